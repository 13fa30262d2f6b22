"""``python -m art_domainrand.cli``, which torchrun wants."""

from art_domainrand.cli import app

app(prog_name="art-domainrand")
