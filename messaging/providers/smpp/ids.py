"""Message ids, which some carriers spell in one base in the answer and in another in the receipt."""


def as_kept(message_id: str, receipt_ids: str) -> str:
    """The id of a submit_sm_resp as we keep it. receipt_ids: "same", or the base of the receipts where it differs."""
    try:
        if receipt_ids == "decimal":
            return f"{int(message_id, 16):x}"
        if receipt_ids == "hex":
            return str(int(message_id))
    except ValueError:
        return message_id
    return message_id


def as_answered(message_id: str, receipt_ids: str) -> str:
    """The id of a receipt, spelt as `as_kept` spells the answer's."""
    try:
        if receipt_ids == "decimal":
            return f"{int(message_id):x}"
        if receipt_ids == "hex":
            return str(int(message_id, 16))
    except ValueError:
        return message_id
    return message_id
