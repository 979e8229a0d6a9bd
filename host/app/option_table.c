/* host/app/option_table.c - every option: names, kind, range, and a line of help. */
#include "host/app/option_table.h"

#include <limits.h>

#define AT(field) offsetof(struct options, field)
#define MODE(m) .mode = MODE_##m

enum { SIDE_LOW = 64, SIDE_HIGH = 4096 };

/* Ranges are those of the library (host/pipeline/request.c), said before anything is opened. */
const struct option_row option_rows[] = {
    { .help = "What to do (one of)" },
    { "case", .kind = OPTION_MODE_INT, MODE(CASE), .offset = AT(case_number), .low = 1,
      .high = 9999, .value = "N", .help = "one case of the benchmark, 1 to 4" },
    { "all", .kind = OPTION_MODE, MODE(ALL),
      .help = "all cases, and sheet.png with them side by side" },
    { "prompt", .letter = 'p', .kind = OPTION_MODE_TEXT, MODE(PROMPT), .offset = AT(request.prompt),
      .value = "TEXT", .help = "a picture of TEXT" },
    { "prompts", .kind = OPTION_MODE_TEXT, MODE(PROMPTS), .offset = AT(file), .value = "FILE",
      .help =
          "many, the model stays loaded: a prompt a line, JSON lines, or infotexts with a blank "
          "line between; - is standard input" },
    { "replay", .kind = OPTION_MODE_TEXT, MODE(REPLAY), .offset = AT(file), .value = "FILE",
      .help = "make a PNG's picture again from its parameters (or a text's) and compare" },
    { "list", .kind = OPTION_MODE, MODE(LIST), .help = "cases, weights found, what is missing" },
    { "parse", .kind = OPTION_MODE_TEXT, MODE(PARSE), .offset = AT(file), .value = "FILE",
      .help = "the parameters in a PNG or a text, as JSON" },
    { "tokenize", .kind = OPTION_MODE, MODE(TOKENIZE),
      .help = "token ids of the lines of standard input" },
    { "version", .kind = OPTION_MODE, MODE(VERSION), .help = "versions and devices" },
    { "help", .letter = 'h', .kind = OPTION_MODE, MODE(HELP), .help = "this text" },

    { .help = "The picture (a flag beats what a case or an infotext says)" },
    { "negative", .other = "negative-prompt", .letter = 'n', .kind = OPTION_TEXT,
      .offset = AT(request.negative), .value = "TEXT", .help = "what it should not show" },
    { "model", .letter = 'm', .kind = OPTION_TEXT, .offset = AT(request.model), .value = "NAME",
      .help = "checkpoint, by file name without ending" },
    { "vae", .kind = OPTION_TEXT, .offset = AT(request.vae), .value = "NAME",
      .help = "VAE, by name; none: the model's own" },
    { "sampler", .kind = OPTION_TEXT, .offset = AT(request.sampler), .value = "NAME",
      .help = "as the web UI calls it (Euler a)" },
    { "steps", .kind = OPTION_INT, .offset = AT(request.steps), .low = 1, .high = 1000,
      .value = "N", .help = "1 to 1000 (20)" },
    { "cfg", .other = "cfg-scale", .kind = OPTION_REAL, .offset = AT(request.cfg_scale),
      .low = -100, .high = 100, .value = "X", .help = "guidance scale (7)" },
    { "seed", .letter = 's', .kind = OPTION_SEED, .offset = AT(request.seed), .value = "N",
      .help = "0 to 2^64-1, or -1 for any, which is printed (0)" },
    { "size", .kind = OPTION_SIZE, .low = SIDE_LOW, .high = SIDE_HIGH, .step = 8, .value = "WxH",
      .help = "pixels, multiples of 8 (512x512; the embedded weights': their own)" },
    { "width", .letter = 'W', .kind = OPTION_INT, .offset = AT(request.width), .low = SIDE_LOW,
      .high = SIDE_HIGH, .step = 8, .value = "N", .help = "pixels, a multiple of 8" },
    { "height", .letter = 'H', .kind = OPTION_INT, .offset = AT(request.height), .low = SIDE_LOW,
      .high = SIDE_HIGH, .step = 8, .value = "N", .help = "pixels, a multiple of 8" },
    { "clip-skip", .kind = OPTION_INT, .offset = AT(request.clip_skip), .low = 1, .high = 12,
      .value = "N", .help = "1 to 12 (1)" },
    { "count", .kind = OPTION_INT, .offset = AT(request.count), .low = 1, .high = 100000,
      .value = "N", .help = "pictures in all; picture k has seed + k" },
    { "batch", .other = "batch-size", .kind = OPTION_INT, .offset = AT(request.batch), .low = 1,
      .high = 64, .value = "N", .help = "pictures at a time" },
    { "batch-count", .kind = OPTION_INT, .offset = AT(batch_count), .low = 1, .high = 100000,
      .value = "N", .help = "batches: the count is N times the batch" },
    { "eta", .kind = OPTION_REAL, .offset = AT(request.eta), .low = 0, .high = 10, .value = "X",
      .help = "noise of ancestral samplers and DDIM (the sampler's)" },
    { "ensd", .kind = OPTION_INT64, .offset = AT(request.ensd), .low = INT_MIN, .high = INT_MAX,
      .value = "N", .help = "eta noise seed delta (0)" },
    { "subseed", .kind = OPTION_SEED, .offset = AT(request.subseed), .value = "N",
      .help = "variation seed, or -1 for any" },
    { "subseed-strength", .kind = OPTION_REAL, .offset = AT(request.subseed_strength), .low = 0,
      .high = 1, .value = "X", .help = "0 to 1 (0)" },
    { "compat", .kind = OPTION_TEXT, .offset = AT(request.compat), .value = "VERSION",
      .help = "behave as this web UI version, up to 1.8; auto: by the infotext, else 1.1.1" },

    { .help = "Weights" },
    { "weights", .kind = OPTION_LIST, .offset = AT(weights), .value = "DIR",
      .help = "searched with all its folders, may be repeated; synthetic: random full-size weights "
              "(MIKUBENCH_WEIGHTS, else the embedded set)" },
    { "any-weights", .kind = OPTION_FLAG, .offset = AT(request.any_weights),
      .help = "go on where a model's hash differs from the infotext's" },
    { "strict", .kind = OPTION_FLAG, .offset = AT(request.strict),
      .help = "a LoRA that is missing or has unknown keys is an error" },

    { .help = "Running" },
    { "device", .kind = OPTION_TEXT, .offset = AT(device), .value = "NAME",
      .help = "cpu, cuda, cuda:N; auto: a GPU that can be used, else the CPU" },
    { "precision", .kind = OPTION_TEXT, .offset = AT(precision), .value = "NAME",
      .help = "fp32, bf16, fp16; auto: fp16 on a GPU, fp32 on a CPU" },
    { "threads", .kind = OPTION_INT, .offset = AT(threads), .low = 1, .high = 1024, .value = "N",
      .help = "of the CPU device (the physical cores)" },
    { "variant", .kind = OPTION_LIST, .offset = AT(variants), .value = "OP=NAME",
      .help = "hold a CUDA operator to one of its variants; may be repeated" },
    { "no-graph", .kind = OPTION_FLAG, .offset = AT(no_graph),
      .help = "launch CUDA kernels one by one, not as a graph" },
    { "repeat", .kind = OPTION_INT, .offset = AT(repeat), .low = 1, .high = 10000, .value = "N",
      .help = "make everything N times; all times stand in the JSON" },
    { "warmup", .kind = OPTION_INT, .offset = AT(warmup), .low = 0, .high = 10000, .value = "N",
      .help = "runs before, not counted" },

    { .help = "Output" },
    { "out", .kind = OPTION_TEXT, .offset = AT(out), .value = "DIR",
      .help = "folder of the pictures (out)" },
    { "output", .letter = 'o', .kind = OPTION_TEXT, .offset = AT(output), .value = "FILE",
      .help = "the name of the one picture" },
    { "json", .kind = OPTION_TEXT, .offset = AT(json), .value = "FILE",
      .help = "requests, times and hashes" },
    { "dump", .kind = OPTION_TEXT, .offset = AT(request.dump_dir), .value = "DIR",
      .help = "what is computed on the way, as NumPy files" },
    { "min-psnr", .kind = OPTION_REAL, .offset = AT(min_psnr), .low = 0, .high = 1000, .value = "X",
      .help = "with --replay: exit 1 below X dB" },
    { "quiet", .kind = OPTION_FLAG, .offset = AT(quiet), .help = "results and errors only" },
};

_Static_assert(sizeof option_rows / sizeof option_rows[0] <= 64, "options.given has a bit a row");

const size_t option_count = sizeof option_rows / sizeof option_rows[0];
