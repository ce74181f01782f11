-- Holds the includes of csrc/core to the order of its folders: no file includes one of a folder above its own, and no
-- header includes itself, be it through others. Prints what breaks that, and fails.
local ORDER = { "base", "kernels", "tensor", "linalg", "ops", "nn" } -- each may include those before it
local BESIDE = { "train", "generate", "io", "tokenizer" } -- beside nn: they know base, kernels, tensor, io

local allowed = {}
for i, folder in ipairs(ORDER) do
  allowed[folder] = {}
  for j = 1, i do allowed[folder][ORDER[j]] = true end
end
for _, folder in ipairs(BESIDE) do
  allowed[folder] = { base = true, kernels = true, tensor = true, io = true, [folder] = true }
end
allowed.train.linalg = true -- optimizers multiply matrices

local includes, problems = {}, {}

local function read(file)
  local list = {}
  for line in io.lines(file) do
    local included = line:match '^%s*#%s*include%s*"(core/[^"]+)"'
    if included then list[#list + 1] = included end
  end
  return list
end

local function folder_of(file) return file:match "^core/([^/]+)/" end

local function check_folders(file)
  local folder = folder_of(file)
  if not allowed[folder] then problems[#problems + 1] = ("csrc/%s: no folder of the core's"):format(file) return end
  for _, included in ipairs(includes[file]) do
    if not allowed[folder][folder_of(included)] then
      problems[#problems + 1] = ("csrc/%s includes %s, which is above it"):format(file, included)
    end
  end
end

local state = {} -- of headers: "open" on the way down, "done" after

local function check_circle(file, path)
  if state[file] == "done" or not includes[file] then return end
  path = path .. " -> " .. file
  if state[file] == "open" then problems[#problems + 1] = "a circle of includes:" .. path return end
  state[file] = "open"
  for _, included in ipairs(includes[file]) do check_circle(included, path) end
  state[file] = "done"
end

local files = {}
for line in io.popen("cd csrc && find core -name '*.[ch]' | LC_ALL=C sort"):lines() do files[#files + 1] = line end
for _, file in ipairs(files) do includes[file] = read("csrc/" .. file) end
for _, file in ipairs(files) do
  check_folders(file)
  check_circle(file, "")
end
for _, problem in ipairs(problems) do print(problem) end
os.exit(#problems == 0)
