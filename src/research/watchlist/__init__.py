"""The list of this cycle: whom to contact, why and with what, and what came of earlier lists."""
