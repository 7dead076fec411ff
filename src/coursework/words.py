"""Texts of others, cut to a length that a person reads."""


def shortened(text: str, limit: int) -> str:
    """Cut a text between two words, and mark the cut; one long word is cut anywhere.

    Args:
        text: of any length.
        limit: characters that stay at most.

    Example:
        >>> shortened("manifest for web is refused", 17)
        'manifest for web …'

    """
    if len(text) <= limit:
        return text
    cut = text[:limit] if text[limit].isspace() else text[:limit].rpartition(" ")[0]
    return f"{(cut or text[:limit]).rstrip()} …"
