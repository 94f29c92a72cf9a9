"""Result tables and pictures as readers see them."""
