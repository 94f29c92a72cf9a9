"""What is computed once: values of expensive functions, kept on disk and used again."""
