-- What specs measure: bytes that something holds, and how far tensors are apart.
local gpt = require "gpt"

local measure = {}

--- The core's live bytes once all garbage is gone.
function measure.live()
  collectgarbage()
  collectgarbage()
  return gpt.memory().live
end

--- The largest difference between two tensors.
function measure.difference(a, b) return (a - b):abs():max():item() end

return measure
