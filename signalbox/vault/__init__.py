"""The vault: encrypted secrets in files that may be in git. docs/secrets.md says what it protects against."""
