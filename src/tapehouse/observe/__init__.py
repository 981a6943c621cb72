"""What a run tells the world while and after it runs: progress, metrics, alerts, lineage events.

Everything here is told plain facts and knows no run, lake or kernel. Telling never breaks the job: a sink that cannot
be reached yields a `Delivery` with a warning, and what can be sent again is kept. Only a wrong setting (an unknown
scheme) is an error, at start-up.
"""
