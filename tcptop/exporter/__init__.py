"""Exporter for Prometheus: reads the machine on each request, and returns metrics over HTTP or in a file."""
