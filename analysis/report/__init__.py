"""One report from all findings: HTML, Markdown, LaTeX, CSV, figures and JSON."""
