"""The two doors: what comes in gets a pseudonym and a seal, and what is forgotten loses its key."""

from palate.privacy.vault import ErasedError, Vault, data_home, default_vault_path

__all__ = ["ErasedError", "Vault", "data_home", "default_vault_path"]
