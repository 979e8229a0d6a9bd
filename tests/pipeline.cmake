# The library as its clients see it, on the embedded weights.
miku_test(test_library ROOMS LIBS mikubench Threads::Threads LABELS threads)
miku_test(test_cases ROOMS LIBS mikubench)
