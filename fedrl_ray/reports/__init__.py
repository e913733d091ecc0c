"""Reports: runs and sweeps, read from their directories, as sections of figures and tables.

sources -> runs -> methods -> studies -> sections -> page. The page of `page.write_report` and a
live dashboard show the same: `data.read(paths)`, then `headline.headline(data)` and
`sections.sections(data)`.

Shape letters: S seeds, M test environments, R episodes in each, T points of a curve, K agents.
"""
