-- Random JSON schemas: what a grammar takes matches its schema, as the Python package jsonschema judges. `make schemas`
-- tries a thousand of them.
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local schemas = require "spec.support.schemas"

local COUNT = tonumber(os.getenv "LUAGPT_SCHEMAS") or 80

local function ran(command)
  local pipe = assert(io.popen("env -u OPENBLAS_CORETYPE -u LD_PRELOAD " .. command .. " 2>&1"))
  local output = pipe:read "a"
  return pipe:close() == true, output
end

-- A Python that has the package: the environment's PYTHON, or python3, or the system's.
local function find_python()
  for _, name in ipairs { os.getenv "PYTHON" or "python3", "/usr/bin/python3" } do
    if ran(("'%s' -c 'import jsonschema'"):format(name)) then return name end
  end
end

-- The cases of numbers from 1 on, a line each; how many schemas were refused, and how many texts were cut off.
local function cases(count)
  local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
  local lines, refused, cut_off = {}, 0, 0
  for number = 1, count do
    local case, refusal = schemas.case(tokenizer, number, 24)
    if case then
      case.others = nil
      lines[#lines + 1] = json.encode(case)
    elseif refusal then
      assert.truthy(refusal:find("^.-: gpt.grammar: json_schema: #"), refusal)
      refused = refused + 1
    else
      cut_off = cut_off + 1
    end
  end
  return lines, refused, cut_off
end

describe("what a grammar takes of a JSON schema", function()
  it("is what jsonschema took, and nothing that it refused", function()
    local texts = { fits = 0, others = 0 }
    for _, case in ipairs(json.read "spec/fixtures/schemas.json") do
      local grammar = gpt.grammar { json_schema = case.schema, whitespace = case.whitespace }
      for name, expected in pairs { fits = true, others = false } do
        for _, text in ipairs(case[name]) do
          assert.equal(expected, (grammar:matches(text)), case.schema .. "\n" .. text)
          texts[name] = texts[name] + 1
        end
      end
    end
    assert.is_true(texts.fits > 100 and texts.others > 100)
  end)

  local python = find_python()
  local test = python and it or function(name)
    pending(name .. " (no PYTHON with jsonschema: Debian's python3-jsonschema)")
  end
  test("matches it as jsonschema judges", function()
    local lines, refused, cut_off = cases(COUNT)
    assert.is_true(refused < COUNT / 3 and cut_off < COUNT / 10)
    local directory = files.directory()
    files.write(directory .. "/cases", table.concat(lines, "\n") .. "\n")
    local ok, output = ran(("'%s' spec/fixtures/check_schemas.py < '%s/cases'"):format(python, directory))
    files.remove(directory)
    assert.is_true(ok, output)
    assert.truthy(output:find "^%d+ texts match their schemas\n$", output)
  end)
end)
