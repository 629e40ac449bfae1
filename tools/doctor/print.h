// A diagnosis as text for people and as JSON for programs, and the list of all checks. Pure. The
// text is plain: no colours, no width to fit.
#pragma once

#include <span>
#include <string>

#include "doctor/diagnosis.h"

namespace tutti::doctor {

std::string to_text(const Diagnosis& diagnosis);
// The schema is in docs/doctor.md. Bytes that are no UTF-8 are replaced.
std::string to_json(const Diagnosis& diagnosis);
std::string list_text(std::span<const Check> checks);

}  // namespace tutti::doctor
