"""Models of the console: what people work through."""

from console.models.attention import AttentionItem

__all__ = ["AttentionItem"]
