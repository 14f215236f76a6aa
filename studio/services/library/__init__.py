"""The library of one person: everything that was ever asked for, with what came of it and what they made of it."""

from studio.services.library.collections import CollectionView
from studio.services.library.difference import Comparison, Difference
from studio.services.library.facets import Facets
from studio.services.library.library import Library
from studio.services.library.lineage import Lineage
from studio.services.library.origins import Parent
from studio.services.library.query import Order, Query, Whose
from studio.services.library.search import Page
from studio.storage.states import Role

__all__ = [
    "CollectionView",
    "Comparison",
    "Difference",
    "Facets",
    "Library",
    "Lineage",
    "Order",
    "Page",
    "Parent",
    "Query",
    "Role",
    "Whose",
]
