"""Reports of kernels that died: headers, traces, whom to blame, titles and signatures."""
