// MPI's names of our types and operators. Pure.
#pragma once

#include <mpi.h>

#include "common/operator.h"

namespace tutti::perf {

// For arithmetic; MPI_DATATYPE_NULL where MPI has no such type.
MPI_Datatype arithmetic_type(DataType type);
// For copying: any type of the same size will do.
MPI_Datatype copied_type(DataType type);
// MPI_OP_NULL where MPI has no such operator.
MPI_Op mpi_op(Operator op);

}  // namespace tutti::perf
