-- A browser sends the dashboard's cookies to every port of this machine. Released applications neither see nor set them.

local OWN = "^%s*prodsprints_"

function envoy_on_request(handle)
  local sent = handle:headers():get("cookie")
  if sent == nil or not sent:find("prodsprints_", 1, true) then return end
  local kept = {}
  for cookie in sent:gmatch("[^;]+") do
    if not cookie:find(OWN) then kept[#kept + 1] = cookie end
  end
  if #kept > 0 then
    handle:headers():replace("cookie", table.concat(kept, ";"))
  else
    handle:headers():remove("cookie")
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local count, kept, found = headers:getNumValues("set-cookie"), {}, false
  for index = 0, count - 1 do
    local cookie = headers:getAtIndex("set-cookie", index)
    if cookie:find(OWN) then found = true else kept[#kept + 1] = cookie end
  end
  if not found then return end
  headers:remove("set-cookie")
  for _, cookie in ipairs(kept) do headers:add("set-cookie", cookie) end
end
