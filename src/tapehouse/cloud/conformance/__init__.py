"""The requirements of the deployments as data, a check for each, and the table of what the last test runs proved.

`rows` reads the table; `registry` runs a row's checks over the synthesized templates of a deployment; `evidence` keeps
what tests showed, and `report` joins both. The checks read templates as CloudFormation does: by type, resolved value
and policy, never by our construct ids.
"""
