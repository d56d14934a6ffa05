Terraform and Node that are too old are named before anything starts, both at once.

  $ PATH="$PWD:$PATH" terraform version
  Terraform v1.3.9
  $ PATH="$PWD:$PATH" scgpt plan local
  error: terraform 1.10 or newer is needed, 1.3 is on the PATH: install it (developer.hashicorp.com/terraform/install); node 20.0 or newer is needed, 18.20 is on the PATH: install it (nodejs.org)
  [1]
