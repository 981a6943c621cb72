"""Releases of managed services as data: what is bundled in each and until when it is supported."""
