-- The systems that run a model, and which of them are installed.
local System = require "system"
local models = require "models"

local systems = {}

-- name; `needs`: Python's modules; `dtypes`: those it has, all without; `command(options, size, dtype, file)`: its
-- words
local KNOWN = {
  {
    name = "luagpt",
    command = function(options, _, _, file)
      return { "lua5.4", "bench/systems/luagpt.lua", file, options.threads }
    end,
  },
  {
    name = "packed", -- luagpt with packed weights, where there are such
    dtypes = { bf16 = true, f16 = true, q8_0 = true, q4_0 = true, q4_1 = true, q4_k = true },
    command = function(options, _, _, file)
      return { "lua5.4", "bench/systems/luagpt.lua", file, options.threads, "pack" }
    end,
  },
  {
    name = "f16 cache", -- luagpt with keys and values in f16, as llama.cpp has them
    command = function(options, _, _, file)
      return { "lua5.4", "bench/systems/luagpt.lua", file, options.threads, "f16" }
    end,
  },
  {
    name = "llama.cpp", needs = "llama_cpp, numpy",
    command = function(options, _, _, file)
      return { options.python, "bench/systems/llama.py", file, options.threads }
    end,
  },
  {
    name = "PyTorch", needs = "torch, transformers", dtypes = { f32 = true, bf16 = true, f16 = true },
    command = function(options, size, dtype)
      return { options.python, "bench/systems/pytorch.py", models.directory(options, size), options.threads, dtype }
    end,
  },
}

local found = {}

-- Whether Python has the modules.
function systems.has(options, modules)
  if found[modules] == nil then
    found[modules] = os.execute(("%s -c 'import %s' >/dev/null 2>&1"):format(options.python, modules)) == true
  end
  return found[modules]
end

-- The machine's bound is a system too, which is asked other things.
function systems.bound(options, program, ...)
  local bound = System.start("bound", { options.programs .. "/" .. program, ... }, options.work)
  bound.bound = true
  return bound
end

-- Starts the systems that are installed and have this dtype; names, a table of keys, chooses among them.
function systems.start(options, size, dtype, file, names)
  local list = { systems.bound(options, "bound", options.threads) }
  for _, known in ipairs(KNOWN) do
    local wanted = (names or systems.usual)[known.name] and (not known.dtypes or known.dtypes[dtype])
    if wanted and (not known.needs or systems.has(options, known.needs)) then
      list[#list + 1] = System.start(known.name, known.command(options, size, dtype, file), options.work)
    end
  end
  return list
end

-- Names of those that are not there.
function systems.missing(options)
  local list = {}
  for _, known in ipairs(KNOWN) do
    if known.needs and not systems.has(options, known.needs) then list[#list + 1] = known.name end
  end
  return list
end

systems.ways = { "packed", "f16 cache" } -- luagpt's
systems.others = { "llama.cpp", "PyTorch" }
systems.usual = { luagpt = true, ["llama.cpp"] = true, PyTorch = true }

return systems
