-- Loading, and peaks of memory, in float32.
local beside = require "beside"
local models = require "models"
local systems = require "systems"

return function(run, size)
  local rows = {}
  for _, dtype in ipairs { "f32", "q8_0" } do
    for _, system in ipairs(systems.start(run.options, size, dtype, models.file(run.options, size, dtype))) do
      if not system.bound then
        system:ask "decode 64 4"
        local decoding = system:ask "peak"
        system:ask "prompt 1000"
        rows[#rows + 1] = { dtype, system.name, ("%.3f"):format(system:ask "load"),
          beside.number(decoding / 2 ^ 20), beside.number(system:ask "peak" / 2 ^ 20) }
      end
      system:close()
    end
  end
  run.report:table({ "weights", "system", "loading, s", "peak, decoding, MiB", "peak, a prompt of 1,000, MiB" }, rows)
end
