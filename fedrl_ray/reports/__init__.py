"""Reports on runs and sweeps: sections of figures and tables, made from their directories.

Data flow: sources -> runs -> methods -> studies -> sections -> page. The page of
`page.write_report` and the live dashboard make the same calls: `data.read(paths)`, then
`headline.headline(data)` and `sections.sections(data)`.

Shape letters: S seeds, M test environments, R episodes in each, T points of a curve, K agents.
"""
