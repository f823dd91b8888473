"""A stand-in for the Metaflow services' image: metadata service, UI backend, UI static server and the migrations.

The real image is on no package registry. What is here keeps to its ports, paths, environment variables, tables and answers, as far as
Metaflow's client and an operator see them; the web pages of the UI, its caches and its websocket are not there. Each program is run as a
module: `server`, `ui_server`, `ui_static`, `run_goose`.
"""

VERSION = "2.5.1"  # of the real service whose answers these are
