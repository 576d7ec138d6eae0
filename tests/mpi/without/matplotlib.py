"""In the place of matplotlib, for the processes of a job: figures take longer than small runs, and NEST imports it."""

raise ImportError("jobs of tests draw no figures")
