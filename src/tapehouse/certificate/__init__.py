"""Whether two engines make the same lake of the same input, row by row, and the signed paper that says so.

May call: runs, engines, lake, contracts. Knows no command line.
"""
