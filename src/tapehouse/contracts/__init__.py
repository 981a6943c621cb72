"""What a dataset is: reading, judging and comparing contracts. Pure data and text; knows no engine and no lake.

- `load`: YAML -> `model.Contract`, with every problem placed on its line. `draft` and `positions` carry the positions;
  `build_*` type one part each; `schema_check` and `vocabulary` hold the JSON Schemas.
- `expr` is the rule language's tree, `expr_parse` reads its text, `expr_print` writes it, `expr_types` and `units` say
  what goes together. `rules` holds the kinds of rules, which are macros over that language.
- `lint`, `diff`, `show`, `infer`, `reference_doc` are what the command line offers on contracts.

Import the modules themselves: this package imports nothing, so that a command pays only for what it uses.
"""
