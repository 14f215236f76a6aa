"""The people of the studio: how they come in, what they may do, the keys of their programs, what they did."""

from studio.services.accounts.audit import AuditLog, AuditView
from studio.services.accounts.keys import Keys, KeyView
from studio.services.accounts.people import AccountView, People
from studio.services.accounts.signing_in import Accounts, Claims
from studio.storage.states import Deed

__all__ = ["AccountView", "Accounts", "AuditLog", "AuditView", "Claims", "Deed", "KeyView", "Keys", "People"]
