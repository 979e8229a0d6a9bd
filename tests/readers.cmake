miku_test(test_pickle ROOMS base weights)
miku_test(test_tensor_file ROOMS base weights)
miku_test(test_tensor_hostile ROOMS base weights)

miku_fuzz(fuzz_pickle ROOMS base weights)
miku_fuzz(fuzz_safetensors ROOMS base weights)
miku_fuzz(fuzz_torch_file ROOMS base weights)
