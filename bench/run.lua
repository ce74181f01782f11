-- Whole models: luagpt beside the machine's bounds and the systems that are installed, in one run.
--
-- lua5.4 bench/run.lua [PART ...] [--name value ...]     (make bench ARGS='PART ... --name value ...')
--   parts: dtypes, context, sizes, threads, loading, training, ranks, precision, perplexity, files, llama,
--   adapters; all of them without one
--   --dtypes f32,bf16,..   of the part dtypes
--   --size gpt2-small      of dtypes, context, threads and loading
--   --files a.gguf,b.gguf  of the parts files, perplexity and adapters
--   --text FILE            of the part perplexity
--   --training small,64,256,1024  cases of the parts training and ranks
--   --steps 600            of the model that is trained in the part precision
--   --compile yes          PyTorch's compiled model too, in training
--   --rounds 5 --threads 2
--   --python FILE          a Python that has llama_cpp, or torch, transformers and peft
--   --programs DIR --work DIR   where the bounds' programs are; where models, report.md and pictures go
--
-- Each system is a process of its own; they take turns, a fraction of a second each; figures are medians.
local Report = require "report"
local core = require "gpt.core"
local noise = require "noise"
local read_options = require "options"
local systems = require "systems"

local PARTS = { "dtypes", "context", "sizes", "threads", "loading", "training", "ranks", "precision", "perplexity",
  "files", "llama", "adapters" }
local TITLES = {
  dtypes = "Every dtype", context = "Length of the context", sizes = "Sizes of models", threads = "Threads",
  loading = "Loading and memory", training = "A training step", ranks = "A training step of two processes",
  precision = "What rounding costs", perplexity = "What rounding costs real models",
  files = "Models of one's own", llama = "A Llama of 125M parameters", adapters = "Low-rank adapters",
}

local function processor()
  local file = io.open "/proc/cpuinfo"
  local text = file and file:read "a" or ""
  if file then file:close() end
  return text:match "model name%s*:%s*([^\n]+)" or "an unknown processor"
end

local function introduce(run)
  local missing = systems.missing(run.options)
  run.report:text("%s, %s kernels, %d threads; medians of %d rounds.", processor(), core._kernels(),
    run.options.threads, run.options.rounds)
  if #missing > 0 then
    run.report:text("Not installed for %s, so left out: %s.", run.options.python, table.concat(missing, ", "))
  end
end

local function main(arguments)
  local parts, options = read_options(arguments, {
    dtypes = { "f32", "bf16", "f16", "q8_0", "q4_0", "q4_1", "q4_k" }, size = "gpt2-small",
    training = { "64", "256" }, files = {}, text = "/usr/share/common-licenses/GPL-3",
    compile = "", steps = 600, rounds = 5, threads = 2, python = "python3",
    programs = "build/bench", work = "build/bench",
  })
  assert(os.execute(("mkdir -p '%s'"):format(options.work)), "--work: a directory that can be made expected")
  local run = { options = options, report = Report.new(options.work) }
  introduce(run)
  for _, name in ipairs(#parts > 0 and parts or PARTS) do
    if not TITLES[name] then error(("there is no part %q: %s"):format(name, table.concat(PARTS, ", ")), 0) end
    run.report:text("## %s", TITLES[name])
    require("parts." .. name)(run, options.size)
  end
  run.report:text("%s", noise.text())
  print("written: " .. run.report:write())
end

local done, problem = xpcall(main, function(message)
  return type(message) == "string" and not message:find "^[^:]+%.lua:" and message or debug.traceback(message)
end, arg)
if not done then
  io.stderr:write("bench: ", tostring(problem), "\n")
  os.exit(1)
end
