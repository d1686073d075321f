"""What an HTML page is made of: a head, sections, the parts of a section, and their rendering."""
