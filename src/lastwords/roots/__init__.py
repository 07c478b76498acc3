"""Where bytes come from: the running host, a mounted disk, a sosreport, a bundle. One interface for all."""
