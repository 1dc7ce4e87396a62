"""Exporter for Prometheus: looks at the machine when it is asked, and answers with metrics over HTTP or in a file."""
