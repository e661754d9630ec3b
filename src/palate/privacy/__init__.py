"""The two doors: what comes in gets a pseudonym and a seal, and what is forgotten loses its key."""

from palate.privacy.vault import REMAINS, ErasedError, Vault, data_home, default_vault_path

__all__ = ["REMAINS", "ErasedError", "Vault", "data_home", "default_vault_path"]
