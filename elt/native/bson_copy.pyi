def copy_lines(
    reply: bytes, columns: tuple[tuple[str, str], ...]
) -> tuple[bytes, int, list[bytes]] | None:
    """The COPY lines of a reply's ordinary documents, their number, and the other documents.

    ``columns`` are names with raw types, the key first. None where the reply is not made of
    whole documents.
    """
