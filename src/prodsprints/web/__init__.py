"""What a person or a program opens: the /v1 API and the pages; thin over the rooms below."""
