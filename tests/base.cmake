miku_test(test_base ROOMS base)
