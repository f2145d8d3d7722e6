"""Blood vessels and tubes near the needle: their shape, their flow and how they exchange heat with the tissue."""
