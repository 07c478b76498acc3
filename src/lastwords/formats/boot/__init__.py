"""What a boot needs: loaders, kernels, modules, parameters, filesystems."""
