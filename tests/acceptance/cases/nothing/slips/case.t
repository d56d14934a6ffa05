A field that does not exist is answered with the nearest that does.

  $ sed -i 's/^tags/tgas/' local.toml
  $ scgpt plan local
  error: <folder>/local.toml: 1 problem
    tgas: unknown key; did you mean 'tags'?
  [2]
