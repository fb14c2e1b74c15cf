"""Sign-in: accounts are made by administrators, nobody signs up; second factors."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from django.conf import settings
from django.http import HttpRequest

from registry.selectors.second_factors import must_have_one


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's account adapter, with the door for strangers shut."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count nothing: django-axes does, on every door; a name is never locked alone.

        allauth's own limit stays for the codes of the second factor.
        """


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's second factors, whose secrets a copy of the database does not tell."""

    def encrypt(self, text: str) -> str:
        """Hide a secret with a key made of SECRET_KEY."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Tell a hidden secret."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Who must have a second factor does not take it off."""
        return not must_have_one(authenticator.user)


def _cipher() -> Fernet:
    digest = hashlib.sha256(f"second factors:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
