"""From blocks and numbers to a page, Markdown, pictures, and files."""
