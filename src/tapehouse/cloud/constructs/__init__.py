"""Parts of a deployment, one file each: typed properties in, typed attributes out. A construct names its resources by
`Naming`, removes them by `Lifecycle`, and refers to nothing that it was not given. Blueprints compose them.
"""
