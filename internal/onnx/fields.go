// SPDX-License-Identifier: Apache-2.0

package onnx

// Field numbers of the messages of onnx.proto3. What is not listed is skipped,
// unless it changes what a model means: then it is listed and refused.
const (
	modelIRVersion = 1
	modelProducer  = 2
	modelGraph     = 7
	modelOpset     = 8
	modelMetadata  = 14

	opsetDomain  = 1
	opsetVersion = 2

	entryKey   = 1
	entryValue = 2

	graphNode        = 1
	graphName        = 2
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12
	graphValueInfo   = 13
	graphSparse      = 15 // refused

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOpType    = 4
	nodeAttribute = 5
	nodeDomain    = 7

	attributeName   = 1
	attributeFloat  = 2
	attributeInt    = 3
	attributeString = 4
	attributeTensor = 5
	attributeFloats = 7
	attributeInts   = 8
	attributeType   = 20

	tensorDims         = 1
	tensorType         = 2
	tensorSegment      = 3 // refused
	tensorFloatData    = 4
	tensorInt64Data    = 7
	tensorName         = 8
	tensorRawData      = 9
	tensorExternalData = 13 // refused

	valueName = 1
	valueType = 2

	typeTensor     = 1
	typeDenotation = 6

	tensorTypeElem  = 1
	tensorTypeShape = 2

	shapeDim = 1

	dimValue = 1
	dimParam = 2
)
