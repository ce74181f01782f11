-- Runs the fuzzer's targets one after the other, each for some seconds from its seeds (spec/fuzz/corpus) and from what
-- earlier runs kept, and shows a line for each:
--   lua5.4 spec/fuzz/run.lua PROGRAM [--seconds N] [--work DIRECTORY] [TARGET...]
-- In DIRECTORY (PROGRAM's) corpus/ grows by inputs that reach something new, and found/ has what was found, with the
-- log of that run. LUAGPT_FUZZ=TARGET PROGRAM FILE runs one input again. Ends with 1 where something was found.
local SEEDS = "spec/fuzz/corpus/"
local LIMITS = "-timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=256 -detect_leaks=0 -print_final_stats=1"

local function read_arguments(words)
  local options, targets = { program = table.remove(words, 1) or error "run.lua: no program" }, {}
  while #words > 0 do
    local word = table.remove(words, 1)
    local name = word:match "^%-%-(%w+)$"
    if name then options[name] = table.remove(words, 1) else targets[#targets + 1] = word end
  end
  options.seconds = math.tointeger(tonumber(options.seconds or 60)) or error "run.lua: --seconds: a whole number expected"
  options.work = options.work or options.program:match "^(.*)/" or "."
  return options, targets
end

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function lines_of(command)
  local lines, pipe = {}, assert(io.popen(command))
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local function all_targets(options)
  local list = lines_of("ASAN_OPTIONS=detect_leaks=0 " .. quote(options.program))
  table.sort(list)
  return list
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function command_of(options, target)
  local corpus, found = options.work .. "/corpus/" .. target, options.work .. "/found/"
  local words = { "LUAGPT_FUZZ=" .. target, quote(options.program), LIMITS, "-max_total_time=" .. options.seconds,
    "-artifact_prefix=" .. quote(found .. target .. "-") }
  local words_file = ("spec/fuzz/words/%s.dict"):format(target)
  if exists(words_file) then words[#words + 1] = "-dict=" .. words_file end
  words[#words + 1] = quote(corpus)
  words[#words + 1] = SEEDS .. target
  assert(os.execute(("mkdir -p %s %s"):format(quote(corpus), quote(found))))
  return table.concat(words, " "), found .. target .. ".log"
end

-- What the log says: executions, how many places of the code and of Lua's lines were reached, and what was found.
local function read_log(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  local features = 0
  for count in text:gmatch " ft: (%d+)" do features = math.max(features, tonumber(count)) end
  local runs = text:match "number_of_executed_units: (%d+)"
  local found = text:match "FOUND: [^\n]*" or text:match "runtime error: [^\n]*" or text:match "ERROR: [^\n]*"
  return { runs = tonumber(runs or 0), features = features, found = found }
end

local function run(options, target)
  local command, log = command_of(options, target)
  local ok = os.execute(("( %s ) > %s 2>&1"):format(command, quote(log)))
  local result = read_log(log)
  local found = not ok and (result.found or "it failed")
  print(("%-16s %9d inputs  %6d features  %s"):format(target, result.runs, result.features, found or "nothing found"))
  io.stdout:flush()
  if found then print("  " .. log) end
  return ok
end

local options, targets = read_arguments(arg)
local good = true
for _, target in ipairs(#targets > 0 and targets or all_targets(options)) do good = run(options, target) and good end
os.exit(good)
