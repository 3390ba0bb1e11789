"""What a host becomes, one module a task: module, @deploy, settings section and templates have one name."""
